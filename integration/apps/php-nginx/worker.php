<?php while (true) { echo "working\n"; sleep(60); }

<?php echo $_SERVER["GREETING"] ?? getenv("GREETING"), " at ", $_SERVER["REQUEST_URI"], "\n";

<?php echo "Hello from PHP ", PHP_VERSION, " at ", $_SERVER["REQUEST_URI"], "\n";

<?php

require __DIR__ . '/../vendor/autoload.php';

echo (new Shop\Front())->answer($_SERVER['REQUEST_URI']);

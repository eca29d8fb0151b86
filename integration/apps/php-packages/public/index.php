<?php
require __DIR__ . '/../vendor/autoload.php';
header('Content-Type: text/plain');
$programs = array_filter(['vendor/bin/greet', 'bin/greet'], fn ($program) => is_file(__DIR__ . "/../$program"));
echo Greeting\Greeting::to('a package'), ' with ', implode(', ', $programs), "\n";

<?php

namespace Greeting;

class Hello
{
    public static function to(string $name): string
    {
        return 'Hello from ' . mb_convert_case($name, MB_CASE_TITLE);
    }
}

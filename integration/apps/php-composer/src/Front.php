<?php

namespace Shop;

use Greeting\Hello;

class Front
{
    public function answer(string $path): string
    {
        return Hello::to('composer') . " at $path\n";
    }
}

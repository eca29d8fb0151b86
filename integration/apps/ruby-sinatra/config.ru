require "./app"
run Hello

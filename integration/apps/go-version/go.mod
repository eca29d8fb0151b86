module example.com/old

// +heroku goVersion go1.25

go 1.20

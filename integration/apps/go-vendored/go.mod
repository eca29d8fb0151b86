module example.com/shop

go 1.21

// +heroku install ./cmd/...

require example.com/greeting v1.2.3

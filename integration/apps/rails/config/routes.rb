Rails.application.routes.draw { root "hello#show" }

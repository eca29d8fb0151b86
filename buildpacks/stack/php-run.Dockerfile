# PHP with the extensions that most apps ask for, FPM, and Apache; nginx is in every dyno.
ARG IMAGE
FROM ${IMAGE}
USER root
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends apache2-bin \
      php8.2-apcu php8.2-bcmath php8.2-cli php8.2-curl php8.2-fpm php8.2-gd php8.2-gmp php8.2-intl php8.2-mbstring \
      php8.2-memcached php8.2-mysql php8.2-opcache php8.2-pgsql php8.2-redis php8.2-soap php8.2-sqlite3 php8.2-xml php8.2-zip \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc/* /usr/share/man/*
USER dyno

# What dynos start from: the runtime half of the stack.
ARG BASE
FROM ${BASE}
ENV LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive
# An operator's own certificate authorities; often none. ca-certificates collects them below.
COPY ca/ /usr/local/share/ca-certificates/
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      bash bzip2 ca-certificates curl file gettext-base less libcurl4 libev4 libevent-2.1-7 libffi8 \
      libmariadb3 libmemcached11 libpq5 libpython3.11 libsqlite3-0 libxml2 libxslt1.1 libyaml-0-2 media-types netbase \
      nginx-light openssl procps python3 python-is-python3 tar tzdata unzip xz-utils zip zlib1g \
 && update-ca-certificates \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc/* /usr/share/man/* /var/www
RUN groupadd --gid 10001 dyno \
 && useradd --uid 10001 --gid dyno --home-dir /app --no-create-home --shell /bin/bash dyno \
 && install -d -o dyno -g dyno /app
ENV DEBIAN_FRONTEND= HOME=/app
USER dyno
WORKDIR /app
CMD ["/bin/bash"]

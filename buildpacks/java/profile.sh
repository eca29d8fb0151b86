# Sourced when a dyno starts.
# shellcheck shell=bash

# The heap leaves room for threads, classes and buffers (Dev Center, "Java Memory Issues"); the machine itself knows how
# much memory the dyno has. What somebody sets is not touched.
if [[ -d /app/.heroku/jdk ]]; then export JAVA_HOME=/app/.heroku/jdk PATH=/app/.heroku/jdk/bin:$PATH; fi
export JAVA_TOOL_OPTIONS=${JAVA_TOOL_OPTIONS:--XX:MaxRAMPercentage=60 -XX:+ExitOnOutOfMemoryError -Dfile.encoding=UTF-8}
export JAVA_OPTS=${JAVA_OPTS:-}

# What frameworks read instead of DATABASE_URL (Dev Center, "Connecting to Relational Databases with Java"): the address with
# the credentials in it, and each by itself, where `%40` is an @. Heroku adds sslmode=require; here DATABASE_URL says so itself
# where the database speaks TLS.
if [[ -z ${JDBC_DATABASE_URL:-} && ${DATABASE_URL:-} =~ ^(postgres|postgresql|mysql)://([^:@/]+):([^@]*)@([^/?]+)(/[^?]*)?([?].*)?$ ]]; then
  jdbc_decoded() { local text=${1//\\/\\\\} && printf '%b' "${text//%/\\x}"; }
  # Signs that mean something in a query, and nothing where they were.
  jdbc_encoded() { local text=${1//'&'/%26} && text=${text//'+'/%2B} && printf '%s' "${text//'='/%3D}"; }
  JDBC_DATABASE_USERNAME=$(jdbc_decoded "${BASH_REMATCH[2]}")
  JDBC_DATABASE_PASSWORD=$(jdbc_decoded "${BASH_REMATCH[3]}")
  JDBC_DATABASE_URL="jdbc:${BASH_REMATCH[1]/%postgres/postgresql}://${BASH_REMATCH[4]}${BASH_REMATCH[5]}"
  if [[ -n ${BASH_REMATCH[6]} ]]; then JDBC_DATABASE_URL+="${BASH_REMATCH[6]}&"; else JDBC_DATABASE_URL+='?'; fi
  JDBC_DATABASE_URL+="user=$(jdbc_encoded "${BASH_REMATCH[2]}")&password=$(jdbc_encoded "${BASH_REMATCH[3]}")"
  export JDBC_DATABASE_URL JDBC_DATABASE_USERNAME JDBC_DATABASE_PASSWORD
  unset -f jdbc_decoded jdbc_encoded
fi
if [[ -n ${JDBC_DATABASE_URL:-} && ${DISABLE_SPRING_DATASOURCE_URL:-} != true \
  && -z ${SPRING_DATASOURCE_URL:-}${SPRING_DATASOURCE_USERNAME:-}${SPRING_DATASOURCE_PASSWORD:-} ]]; then
  export SPRING_DATASOURCE_URL=$JDBC_DATABASE_URL
  export SPRING_DATASOURCE_USERNAME=${JDBC_DATABASE_USERNAME:-} SPRING_DATASOURCE_PASSWORD=${JDBC_DATABASE_PASSWORD:-}
fi

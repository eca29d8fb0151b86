# Sourced when a dyno starts.
# shellcheck shell=bash

# The heap leaves room for threads, classes and buffers (Dev Center, "Java Memory Issues"); the machine itself knows how
# much memory the dyno has. What somebody sets is not touched.
if [[ -d /app/.heroku/jdk ]]; then export JAVA_HOME=/app/.heroku/jdk PATH=/app/.heroku/jdk/bin:$PATH; fi
export JAVA_TOOL_OPTIONS=${JAVA_TOOL_OPTIONS:--XX:MaxRAMPercentage=60 -XX:+ExitOnOutOfMemoryError -Dfile.encoding=UTF-8}
export JAVA_OPTS=${JAVA_OPTS:-}

# What frameworks read instead of DATABASE_URL (Dev Center, "Connecting to Relational Databases with Java").
if [[ ${DATABASE_URL:-} =~ ^(postgres|postgresql|mysql)://([^:@/]*):?([^@]*)@([^/?]+)/([^?]*)([?].*)?$ && -z ${JDBC_DATABASE_URL:-} ]]; then
  database_kind=${BASH_REMATCH[1]/#postgres/postgresql}
  JDBC_DATABASE_USERNAME=${BASH_REMATCH[2]}
  JDBC_DATABASE_PASSWORD=${BASH_REMATCH[3]}
  JDBC_DATABASE_URL="jdbc:${database_kind/postgresqlql/postgresql}://${BASH_REMATCH[4]}/${BASH_REMATCH[5]}${BASH_REMATCH[6]:-?}"
  JDBC_DATABASE_URL="${JDBC_DATABASE_URL%[?]}"
  export JDBC_DATABASE_URL JDBC_DATABASE_USERNAME JDBC_DATABASE_PASSWORD
  export SPRING_DATASOURCE_URL=${SPRING_DATASOURCE_URL:-$JDBC_DATABASE_URL}
  export SPRING_DATASOURCE_USERNAME=${SPRING_DATASOURCE_USERNAME:-$JDBC_DATABASE_USERNAME}
  export SPRING_DATASOURCE_PASSWORD=${SPRING_DATASOURCE_PASSWORD:-$JDBC_DATABASE_PASSWORD}
  unset database_kind
fi

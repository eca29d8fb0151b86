//! What `pg:` verbs ask a database.

pub(super) const PS: &str = "select pid, state, application_name as source, usename as username, \
     age(now(), xact_start) as running_for, xact_start as transaction_start, wait_event is not null as waiting, query \
     from pg_stat_activity where query <> '<insufficient privilege>' and state <> 'idle' and pid <> pg_backend_pid() \
     order by query_start desc";

pub(super) const PS_VERBOSE: &str = "select pid, state, application_name as source, usename as username, \
     age(now(), xact_start) as running_for, xact_start as transaction_start, wait_event is not null as waiting, query \
     from pg_stat_activity where query <> '<insufficient privilege>' and pid <> pg_backend_pid() and usename is not null \
     order by query_start desc";

pub(super) const LOCKS: &str = "select pg_stat_activity.pid, pg_class.relname, pg_locks.transactionid, pg_locks.granted, \
     pg_stat_activity.query as query_snippet, age(now(), pg_stat_activity.query_start) as age \
     from pg_stat_activity, pg_locks left join pg_class on (pg_locks.relation = pg_class.oid) \
     where pg_stat_activity.query <> '<insufficient privilege>' and pg_locks.pid = pg_stat_activity.pid \
     and pg_locks.mode in ('ExclusiveLock', 'AccessExclusiveLock', 'RowExclusiveLock') \
     and pg_stat_activity.pid <> pg_backend_pid() order by query_start";

pub(super) const BLOCKING: &str = "select blocked.pid as blocked_pid, blocking.query as blocking_statement, \
     now() - blocking.query_start as blocking_duration, blocking.pid as blocking_pid, \
     blocked.query as blocked_statement, now() - blocked.query_start as blocked_duration \
     from pg_stat_activity as blocked \
     join lateral unnest(pg_blocking_pids(blocked.pid)) as by (pid) on true \
     join pg_stat_activity as blocking on blocking.pid = by.pid";

pub(super) const OUTLIERS: &str = "select interval '1 millisecond' * total_exec_time as total_exec_time, \
     to_char((total_exec_time / sum(total_exec_time) over ()) * 100, 'FM90D0') || '%' as prop_exec_time, \
     to_char(calls, 'FM999G999G999G990') as ncalls, left(query, 200) as query \
     from pg_stat_statements where userid = (select usesysid from pg_user where usename = current_user) \
     order by pg_stat_statements.total_exec_time desc limit 10";

pub(super) const DIAGNOSE: &str = "select 'Connections' as check, \
       case when count(*) > current_setting('max_connections')::int * 0.9 then 'RED' \
            when count(*) > current_setting('max_connections')::int * 0.75 then 'YELLOW' else 'GREEN' end as status, \
       count(*) || ' of ' || current_setting('max_connections') as found \
     from pg_stat_activity where backend_type = 'client backend' \
     union all select 'Long transactions', case when count(*) > 0 then 'YELLOW' else 'GREEN' end, count(*)::text \
     from pg_stat_activity where xact_start < now() - interval '5 minutes' and pid <> pg_backend_pid() \
     union all select 'Blocked queries', case when count(*) > 0 then 'RED' else 'GREEN' end, count(*)::text \
     from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0 \
     union all select 'Cache hits', case when coalesce(sum(heap_blks_hit) / nullif(sum(heap_blks_hit + heap_blks_read), 0), 1) \
       < 0.95 then 'YELLOW' else 'GREEN' end, \
       coalesce(round(100 * sum(heap_blks_hit) / nullif(sum(heap_blks_hit + heap_blks_read), 0)) || '%', 'nothing read') \
     from pg_statio_user_tables \
     union all select 'Unused indexes', case when count(*) > 0 then 'YELLOW' else 'GREEN' end, count(*)::text \
     from pg_stat_user_indexes where idx_scan = 0 and pg_relation_size(indexrelid) > 10485760";

pub(super) const EXTENSIONS: &str = "select name, default_version, installed_version, comment from pg_available_extensions \
     order by installed_version is null, name";

pub(super) const CACHE_HIT: &str = "select 'index hit rate' as name, \
     sum(idx_blks_hit) / nullif(sum(idx_blks_hit + idx_blks_read), 0) as ratio from pg_statio_user_indexes \
     union all select 'table hit rate', sum(heap_blks_hit) / nullif(sum(heap_blks_hit + heap_blks_read), 0) \
     from pg_statio_user_tables";

pub(super) const INDEX_USAGE: &str = "select relname, case idx_scan when 0 then 'Insufficient data' \
     else (100 * idx_scan / (seq_scan + idx_scan))::text end as percent_of_times_index_used, n_live_tup as rows_in_table \
     from pg_stat_user_tables order by n_live_tup desc";

pub(super) const LONG_RUNNING: &str = "select pid, now() - query_start as duration, query from pg_stat_activity \
     where state <> 'idle' and now() - query_start > interval '5 minutes' order by now() - query_start desc";

pub(super) const INFO: &str = "select current_setting('server_version'), \
     (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()) \
       || '/' || current_setting('max_connections'), \
     pg_size_pretty(pg_database_size(current_database())), \
     (select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema'))";

/// How many tables and the like people have made.
pub(super) const TABLES: &str = "select count(*)
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'm', 'f')
    and nspname !~ '^pg_'
    and nspname <> 'information_schema'";

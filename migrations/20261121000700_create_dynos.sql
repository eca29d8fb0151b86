create table dynos (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    release uuid not null references releases (id) on delete cascade,
    process_type text not null,
    index integer not null,
    size text not null,
    attempt integer not null,
    failures integer not null,
    state text not null,
    state_since timestamptz not null,
    endpoint_container text,
    endpoint_address text,
    crash_exit_code integer,
    crash_out_of_memory boolean,
    crash_boot_timeout boolean,
    crash_retry_at timestamptz,
    stop_reason text,
    container text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint dynos_index_positive check (index > 0),
    constraint dynos_attempt_positive check (attempt > 0),
    constraint dynos_failures_positive check (failures >= 0),
    constraint dynos_state check (state in ('starting', 'up', 'crashed', 'stopping')),
    constraint dynos_endpoint_whole check ((endpoint_container is null) = (endpoint_address is null)),
    constraint dynos_endpoint_of_up check (state = 'up' or endpoint_container is null),
    constraint dynos_crash_of_crashed check (
        (state = 'crashed') = (crash_retry_at is not null)
        and (state = 'crashed') = (crash_out_of_memory is not null)
        and (state = 'crashed') = (crash_boot_timeout is not null)
        and (state = 'crashed' or crash_exit_code is null)
    ),
    constraint dynos_stop_reason check (stop_reason in ('scaled_down', 'replaced', 'abandoned', 'unwanted')),
    constraint dynos_reason_of_stopping check ((state = 'stopping') = (stop_reason is not null))
);

create index dynos_app on dynos (app);
create index dynos_release on dynos (release);

comment on table dynos is 'Slots of the formation, as last seen. Two rows share a name while one replaces the other.';
comment on column dynos.attempt is 'How often it has been started: with the id, the name of its container.';
comment on column dynos.failures is 'Crashes in a row, for the back-off.';
comment on column dynos.endpoint_container is 'The container that was seen to hold endpoint_address: an address alone is never trusted.';
comment on column dynos.container is 'The container of this attempt, as last seen.';

create table restarts (
    dyno uuid primary key references dynos (id) on delete cascade,
    actor uuid not null references accounts (id),
    requested_at timestamptz not null
);

comment on table restarts is 'Wanted: this dyno is to be replaced by one just like it. Goes with the dyno.';

create table routings (
    app uuid primary key references apps (id) on delete cascade,
    https_redirect boolean not null default false,
    hsts_seconds integer,
    session_affinity boolean not null default false,
    response_timeout_seconds integer,
    idle_timeout_seconds integer,
    boot_timeout_seconds integer,
    sleep_after_seconds integer,
    updated_at timestamptz not null,
    constraint routings_hsts check (hsts_seconds > 0),
    constraint routings_response_timeout check (response_timeout_seconds > 0),
    constraint routings_idle_timeout check (idle_timeout_seconds > 0),
    constraint routings_boot_timeout check (boot_timeout_seconds > 0),
    constraint routings_sleep_after check (sleep_after_seconds > 0)
);

comment on table routings is 'How requests of an app are treated. No row: as on Heroku in everything.';
comment on column routings.sleep_after_seconds is 'Null: 30 minutes when every dyno of the formation is Eco, else never.';

alter table apps add column asleep_at timestamptz;

comment on column apps.asleep_at is 'Since when nothing of it runs because nobody asked for it. Null: awake.';

alter table dynos
    drop constraint dynos_stop_reason,
    add constraint dynos_stop_reason check (stop_reason in ('scaled_down', 'replaced', 'abandoned', 'unwanted', 'idle'));

alter table releases add column error_page text, add column maintenance_page text;

comment on column releases.error_page is 'Config var ERROR_PAGE_URL of this release: the router shows it to everybody.';
comment on column releases.maintenance_page is 'Config var MAINTENANCE_PAGE_URL of this release.';

create trigger routings_notify after insert or update or delete on routings
    for each row execute function notify_wanted();

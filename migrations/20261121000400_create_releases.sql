create table releases (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    version integer not null,
    slug uuid references slugs (id),
    config bytea not null,
    description text not null,
    actor uuid not null references accounts (id),
    status text not null,
    failure text,
    served_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint releases_version_unique unique (app, version),
    constraint releases_version_positive check (version > 0),
    constraint releases_status check (status in ('pending', 'succeeded', 'failed', 'expired')),
    constraint releases_failure check (failure in ('release_phase', 'boot')),
    constraint releases_failed_with_reason check ((status = 'failed') = (failure is not null))
);

create index releases_slug on releases (slug);
create index releases_pending on releases (created_at) where status = 'pending';

comment on table releases is 'Code and config, numbered per app. Only status and served_at ever change.';
comment on column releases.slug is 'Null before the first deploy.';
comment on column releases.config is 'All config vars, sealed; bound to the id of this row.';
comment on column releases.served_at is 'When its dynos took the traffic over. Null: never.';

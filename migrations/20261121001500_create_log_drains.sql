create table log_drains (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    token text not null,
    url bytea not null,
    starts_after bigint not null,
    created_at timestamptz not null,
    constraint log_drains_token_unique unique (token),
    constraint log_drains_starts_after check (starts_after >= 0)
);

comment on table log_drains is 'Where else the log of an app goes. How far each is lies beside the log itself.';
comment on column log_drains.token is 'd. and a UUID: what a receiver knows the drain by.';
comment on column log_drains.url is 'Sealed: it may hold a password.';
comment on column log_drains.starts_after is 'The id of the last line that the log had when the drain was made.';

create index log_drains_app on log_drains (app);

create trigger log_drains_notify after insert or update or delete on log_drains
    for each row execute function notify_wanted();

create table app_features (
    app uuid not null references apps (id) on delete cascade,
    feature text not null,
    enabled boolean not null,
    updated_at timestamptz not null,
    primary key (app, feature)
);

comment on table app_features is 'Features that were switched away from what they are by default. Those of the router are columns of routings.';

create trigger app_features_notify after insert or update or delete on app_features
    for each row execute function notify_wanted();

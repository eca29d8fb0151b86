create table app_setups (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    actor uuid not null references accounts (id),
    status text not null,
    failure_message text,
    manifest_errors text[] not null default '{}',
    build uuid references builds (id) on delete set null,
    postdeploy_output text,
    postdeploy_exit_code integer,
    resolved_success_url text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint app_setups_status check (status in ('pending', 'succeeded', 'failed')),
    constraint app_setups_failed_with_message check ((status = 'failed') = (failure_message is not null)),
    constraint app_setups_postdeploy_whole check ((postdeploy_output is null) = (postdeploy_exit_code is null))
);

create index app_setups_app on app_setups (app);
create index app_setups_pending on app_setups (id) where status = 'pending';

comment on table app_setups is 'Apps made of a source with an app.json: how that went.';
comment on column app_setups.manifest_errors is 'What is wrong with the app.json.';

create table addon_backups (
    id uuid primary key,
    addon uuid not null,
    addon_name text not null,
    service text not null,
    app uuid not null,
    app_name text not null,
    owner uuid,
    number integer not null,
    kind text not null,
    source uuid,
    state text not null,
    bytes bigint not null default 0,
    reason text,
    server uuid not null,
    created_by uuid references accounts (id),
    created_at timestamptz not null,
    finished_at timestamptz,
    proved_at timestamptz,
    is_proof_good boolean,
    proof text,
    constraint addon_backups_number_unique unique (app, number),
    constraint addon_backups_kind check (kind in ('manual', 'scheduled', 'before restore', 'last', 'restore')),
    constraint addon_backups_state check (state in ('running', 'succeeded', 'failed', 'canceled')),
    constraint addon_backups_finished check ((state = 'running') = (finished_at is null)),
    constraint addon_backups_proof check (
        (proved_at is null) = (is_proof_good is null)
        and (proved_at is null) = (proof is null)
    )
);

create index addon_backups_addon on addon_backups (addon, created_at);
create index addon_backups_app_name on addon_backups (app_name);

comment on table addon_backups is 'Copies of what is in an add-on, and copies put back. They outlive the add-on; the bytes are files, sealed.';
comment on column addon_backups.addon is 'No reference, and none to the app: both may be gone.';
comment on column addon_backups.service is 'What can read it.';
comment on column addon_backups.owner is 'Who owned the app: whoever may use what is left of it when the app is gone. Null: a team did.';
comment on column addon_backups.number is 'b001 of an app is 1; what was put back counts, too.';
comment on column addon_backups.source is 'The backup that was put back.';
comment on column addon_backups.bytes is 'How many have passed so far.';
comment on column addon_backups.reason is 'Why it failed.';
comment on column addon_backups.server is 'Who is at it, and where its file is.';
comment on column addon_backups.proved_at is 'When it was restored into a scratch server.';
comment on column addon_backups.proof is 'What was counted there, or what was wrong.';

alter table addons
    add column backs_up boolean not null default true,
    add column backup_hour integer,
    add column backup_timezone text not null default 'UTC',
    add column backup_alarm text,
    add column has_farewell boolean not null default false,
    add constraint addons_backup_hour check (backup_hour between 0 and 23);

comment on column addons.backs_up is 'Whether it is copied each day.';
comment on column addons.backup_hour is 'Of its time zone. Null: at a quiet minute of its own.';
comment on column addons.backup_alarm is 'Why there is no good backup that is young enough, for people.';
comment on column addons.has_farewell is 'Its last backup was made, or cannot be: its container may go.';

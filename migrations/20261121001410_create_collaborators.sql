create table collaborators (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    account uuid not null references accounts (id) on delete cascade,
    permissions text[] not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint collaborators_unique unique (app, account),
    constraint collaborators_permissions
        check (permissions <@ array['deploy', 'manage', 'operate', 'view'] and 'view' = any (permissions))
);

create index collaborators_account on collaborators (account);

comment on table collaborators is 'Who works on an app beside its owner. The owner has no row here; that of an admin of the team that owns the app adds nothing while they are one.';

create table teams (
    id uuid primary key,
    name text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint teams_name_unique unique (name)
);

comment on table teams is 'People who own apps together.';

create table team_members (
    id uuid primary key,
    team uuid not null references teams (id) on delete cascade,
    account uuid not null references accounts (id) on delete cascade,
    role text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint team_members_unique unique (team, account),
    constraint team_members_role check (role in ('admin', 'member', 'viewer'))
);

create index team_members_account on team_members (account);

comment on table team_members is 'Who is in a team. Collaborators of its apps who are not are in `collaborators` alone.';

-- An app belongs to a person or to a team.
alter table apps alter column owner drop not null;
alter table apps add column team uuid references teams (id);
alter table apps add column locked boolean not null default false;
alter table apps add constraint apps_owned_by_one check ((owner is null) <> (team is null));
alter table apps add constraint apps_locked_of_team check (team is not null or not locked);
create index apps_team on apps (team);

comment on column apps.owner is 'Null: a team owns it.';
comment on column apps.team is 'The team that owns it.';
comment on column apps.locked is 'Members of the team who were not added to the app do not see it, and cannot join it.';

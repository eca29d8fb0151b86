create table apps (
    id uuid primary key,
    name text not null,
    owner uuid not null references accounts (id),
    maintenance boolean not null default false,
    stack text not null,
    subnet integer not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    destroyed_at timestamptz,
    constraint apps_subnet_unique unique (subnet),
    constraint apps_subnet_positive check (subnet >= 0)
);

create unique index apps_name_unique on apps (name) where destroyed_at is null;
create index apps_owner on apps (owner);

comment on table apps is 'Apps, wanted or being removed.';
comment on column apps.name is 'Unique among the living: a destroyed app gives its name back at once.';
comment on column apps.subnet is 'Index of its network in the pool of subnets; kept until the row goes, because the network may still exist.';
comment on column apps.destroyed_at is 'Set: nothing of it is wanted any more, and what is left of it is being removed.';

create table one_offs (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    release uuid not null references releases (id) on delete cascade,
    process_type text not null,
    index integer not null,
    size text not null,
    command text not null,
    is_attached boolean not null,
    actor uuid not null references accounts (id),
    is_up boolean not null,
    state_since timestamptz not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    constraint one_offs_name_unique unique (app, process_type, index),
    constraint one_offs_index_positive check (index > 0)
);

create index one_offs_release on one_offs (release);

comment on table one_offs is 'One-off dynos that run, or are about to: a row goes when its process has ended.';
comment on column one_offs.command is 'As it was typed. Extra environment is a secret of whoever typed it, and never stored.';
comment on column one_offs.is_attached is 'Talks to a person rather than into the log: ends when that person has gone.';
comment on column one_offs.expires_at is 'When it is stopped at the latest.';

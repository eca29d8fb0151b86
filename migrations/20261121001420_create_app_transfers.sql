create table app_transfers (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    owner uuid not null references accounts (id) on delete cascade,
    recipient uuid not null references accounts (id) on delete cascade,
    state text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint app_transfers_state check (state in ('pending', 'accepted', 'declined'))
);

create unique index app_transfers_pending_unique on app_transfers (app) where state = 'pending';
create index app_transfers_owner on app_transfers (owner);
create index app_transfers_recipient on app_transfers (recipient);

comment on table app_transfers is 'Offers of an app from one person to another. Only an accepted one changes who owns the app.';

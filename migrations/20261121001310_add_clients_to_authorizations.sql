create table oauth_clients (
    id uuid primary key,
    account uuid not null references accounts (id) on delete cascade,
    name text not null,
    redirect_uri text not null,
    secret bytea not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index oauth_clients_account on oauth_clients (account);

comment on table oauth_clients is 'Programs that act for people, as their makers registered them.';
comment on column oauth_clients.secret is 'Sealed with the id of the row: its owner may see it again.';

alter table authorizations
    add column client uuid references oauth_clients (id) on delete set null,
    add column is_session boolean not null default false,
    add column token_mask text;

comment on column authorizations.client is 'The program that this token was given to; null: the person made it.';
comment on column authorizations.is_session is 'Made by a login in a browser: listed among the sessions.';
comment on column authorizations.token_mask is 'Enough of the token to know it again, and not enough to guess the rest.';

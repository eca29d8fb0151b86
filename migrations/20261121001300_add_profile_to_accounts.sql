alter table accounts
    add column name text,
    add column allow_tracking boolean not null default false,
    add column beta boolean not null default false,
    add column last_login_at timestamptz,
    add column disabled_at timestamptz;

comment on column accounts.name is 'What the person wants to be called.';
comment on column accounts.last_login_at is 'When a password last made a token.';
comment on column accounts.disabled_at is 'Since when the operator lets this person do nothing; null: never.';

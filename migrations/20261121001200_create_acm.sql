create table acm (
    hostname text primary key,
    id uuid not null,
    app uuid references apps (id) on delete cascade,
    state text not null,
    due_at timestamptz,
    checks integer not null default 0,
    verified_at timestamptz,
    authority text,
    directory text,
    order_url text,
    ordered_at timestamptz,
    order_key bytea,
    ledger_entry bigint,
    reason text,
    attempts integer not null default 0,
    failing_since timestamptz,
    tried_at timestamptz,
    outages integer not null default 0,
    is_rehearsed boolean not null default false,
    production_rests_until timestamptz,
    issued_by text,
    window_start timestamptz,
    window_end timestamptz,
    window_due_at timestamptz,
    leased_by uuid,
    leased_until timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint acm_id_unique unique (id),
    constraint acm_state
        check (state in ('waiting', 'verified', 'ordering', 'issued', 'failing', 'failed', 'local')),
    constraint acm_due check ((state in ('failed', 'local')) = (due_at is null)),
    constraint acm_verified check ((state = 'verified') = (verified_at is not null)),
    constraint acm_ordering
        check ((state = 'ordering') = (authority is not null and order_url is not null and ordered_at is not null)),
    constraint acm_authority check (authority in ('production', 'staging', 'fallback')),
    constraint acm_issued_by check (issued_by in ('production', 'staging', 'fallback')),
    constraint acm_window check ((window_start is null) = (window_end is null)),
    constraint acm_lease check ((leased_by is null) = (leased_until is null))
);

create index acm_app on acm (app);

comment on table acm is 'Automated certificate management: where each managed name stands. Goes and comes with the name; certificates stay.';
comment on column acm.app is 'Null: a name of the platform itself.';
comment on column acm.due_at is 'When the state asks for the next step.';
comment on column acm.verified_at is 'When DNS was seen to lead here.';
comment on column acm.directory is 'The directory of the authority that has the order: after a change of settings the order is of no use.';
comment on column acm.order_key is 'Private key of the certificate to come as PEM, sealed; bound to `id`.';
comment on column acm.ledger_entry is 'The order in `acme_ledger`.';
comment on column acm.reason is 'What DNS lacks, or the authority''s own words.';
comment on column acm.window_due_at is 'When to ask for renewal information again.';
comment on column acm.leased_until is 'Until when one server alone works on the name.';

create table acme_accounts (
    directory text primary key,
    id uuid not null,
    account bytea not null,
    created_at timestamptz not null
);

comment on table acme_accounts is 'Our account with each certificate authority.';
comment on column acme_accounts.account is 'Key and URL, sealed; bound to `id`.';

create table acme_ledger (
    id bigint generated always as identity primary key,
    directory text not null,
    what text not null,
    hostnames text[] not null default '{}',
    at timestamptz not null,
    failed_at timestamptz,
    is_invalid boolean not null default false,
    constraint acme_ledger_what check (what in ('first', 'renewal', 'advised', 'account'))
);

create index acme_ledger_at on acme_ledger (at);

comment on table acme_ledger is 'What was asked of certificate authorities in the last days, to keep within their limits.';
comment on column acme_ledger.what is 'An order (the first for these names, a renewal, or one that the authority advised), or a new account.';
comment on column acme_ledger.failed_at is 'When the order came to nothing.';
comment on column acme_ledger.is_invalid is 'A name could not be validated, which authorities count.';

create table certificate_warnings (
    certificate uuid not null references certificates (id) on delete cascade,
    days integer not null,
    at timestamptz not null,
    primary key (certificate, days)
);

comment on table certificate_warnings is 'Which warnings about the end of a certificate were given: each comes once.';

create trigger acm_notify after insert or delete on acm
    for each row execute function notify_wanted();

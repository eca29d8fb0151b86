create table webhooks (
    id uuid primary key,
    app uuid not null,
    include text[] not null,
    level text not null,
    url bytea not null,
    secret bytea not null,
    credentials bytea,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint webhooks_level check (level in ('notify', 'sync')),
    constraint webhooks_include check (cardinality(include) > 0)
);

create index webhooks_app on webhooks (app);

comment on table webhooks is 'Whom the people of an app want told of what. Does not refer to the app: its end is something to be told of.';
comment on column webhooks.url is 'Sealed: it may hold a password.';
comment on column webhooks.secret is 'Sealed: what notifications are signed with.';
comment on column webhooks.credentials is 'Sealed: what the receiver gets as the Authorization header.';

create table webhook_events (
    id uuid primary key,
    app uuid not null,
    sequence bigint not null,
    include text not null,
    payload jsonb not null,
    created_at timestamptz not null,
    constraint webhook_events_sequence_unique unique (sequence)
);

create index webhook_events_app on webhook_events (app, sequence);
create index webhook_events_created_at on webhook_events (created_at);

comment on table webhook_events is 'Changes of which somebody is told, as they are told. Goes after 30 days.';
comment on column webhook_events.sequence is 'That of the event behind it.';

create table webhook_deliveries (
    id uuid primary key,
    sequence bigint generated always as identity,
    webhook uuid not null references webhooks (id) on delete cascade,
    app uuid not null,
    event uuid not null references webhook_events (id) on delete cascade,
    level text not null,
    status text not null,
    num_attempts integer not null,
    next_attempt_at timestamptz,
    attempt uuid,
    attempt_code integer,
    attempt_error text,
    attempted_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint webhook_deliveries_level check (level in ('notify', 'sync')),
    constraint webhook_deliveries_status check (status in ('pending', 'retrying', 'failed', 'succeeded')),
    constraint webhook_deliveries_waiting check ((status in ('pending', 'retrying')) = (next_attempt_at is not null)),
    constraint webhook_deliveries_attempt check ((attempt is null) = (attempted_at is null)),
    constraint webhook_deliveries_event_unique unique (webhook, event)
);

create index webhook_deliveries_app on webhook_deliveries (app, sequence);
create index webhook_deliveries_event on webhook_deliveries (event);
create index webhook_deliveries_due on webhook_deliveries (webhook, next_attempt_at) where next_attempt_at is not null;

comment on table webhook_deliveries is 'One webhook and one event that it is told of.';
comment on column webhook_deliveries.next_attempt_at is 'Null: delivered, or given up.';
comment on column webhook_deliveries.attempt is 'The last one.';

alter table events
    add column is_untold boolean not null default false,
    add column data jsonb;

create index events_untold on events (sequence) where is_untold;
create index events_dyno_states on events (at) where resource = 'dyno-state';
create index events_resource on events (resource_id, sequence);

comment on column events.is_untold is 'Webhooks have not been told yet. A mark and not a position: events come into sight in another order than their numbers.';
comment on column events.data is 'The resource as the API showed it, where it cannot be looked at afterwards.';

create trigger events_notify after insert on events
    for each row when (new.is_untold and new.resource <> 'dyno-state') execute function notify_wanted();

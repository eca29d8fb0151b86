create table events (
    sequence bigint generated always as identity primary key,
    app uuid,
    actor uuid,
    action text not null,
    resource text not null,
    resource_id uuid,
    payload jsonb not null,
    at timestamptz not null
);

create index events_app on events (app, sequence desc);

comment on table events is 'Every change of what is wanted. Rows refer to nothing, because they outlive what they tell of.';
comment on column events.actor is 'Null: the platform itself.';
comment on column events.payload is 'What the resource is now. Never config values, tokens or other secrets.';

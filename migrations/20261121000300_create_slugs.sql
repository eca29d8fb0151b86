create table slugs (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    image text not null,
    process_types jsonb not null,
    commit text,
    buildpack_provided_description text,
    size_bytes bigint not null,
    created_at timestamptz not null,
    constraint slugs_process_types_object check (jsonb_typeof(process_types) = 'object')
);

create index slugs_app on slugs (app);

comment on table slugs is 'What builds made and releases run. Rows never change.';
comment on column slugs.image is 'Reference in the words of the engine.';
comment on column slugs.process_types is 'Process type to shell command.';

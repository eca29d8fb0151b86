create table slug_uploads (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    process_types jsonb not null,
    commit text,
    commit_description text,
    buildpack_provided_description text,
    checksum text,
    created_at timestamptz not null,
    constraint slug_uploads_process_types_object check (jsonb_typeof(process_types) = 'object')
);

create index slug_uploads_app on slug_uploads (app);

comment on table slug_uploads is 'Slugs that clients make: what they said about one. A row of slugs has the same id once there is an image of it.';
comment on column slug_uploads.checksum is 'What the client said the SHA-256 of the archive is.';

create table builds (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    commit text,
    description text,
    actor uuid not null references accounts (id),
    status text not null,
    failure text,
    lease_expires_at timestamptz,
    slug uuid references slugs (id),
    release uuid references releases (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint builds_status check (status in ('pending', 'succeeded', 'failed')),
    constraint builds_failure check (failure in ('rejected', 'lease_expired', 'cancelled')),
    constraint builds_failed_with_reason check ((status = 'failed') = (failure is not null)),
    constraint builds_pending_with_lease check ((status = 'pending') = (lease_expires_at is not null)),
    constraint builds_succeeded_with_slug check ((status = 'succeeded') = (slug is not null))
);

create unique index builds_pending_unique on builds (app) where status = 'pending';
create index builds_app on builds (app, created_at desc, id desc);

comment on table builds is 'Attempts to turn a source into a slug; at most one pending per app.';
comment on column builds.description is 'What the source is called: the subject of the commit, or what the API call said.';
comment on column builds.lease_expires_at is 'Until when a server has promised to look after a pending build; past it, the build has failed.';

create table test_runs (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    actor uuid not null references accounts (id),
    number integer not null,
    status text not null,
    commit_branch text not null,
    commit_sha text not null,
    commit_message text not null,
    message text,
    exit_code integer,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint test_runs_status check (status in ('pending', 'building', 'cancelled', 'succeeded', 'failed', 'errored')),
    constraint test_runs_number unique (app, number)
);

create index test_runs_under_way on test_runs (id) where status in ('pending', 'building');

comment on table test_runs is 'Runs of an app''s tests: nothing is released by them.';
comment on column test_runs.message is 'Why the tests did not come to their end.';
comment on column test_runs.exit_code is 'With which status the tests ended; null when they never ran.';

create table formations (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    process_type text not null,
    quantity integer not null,
    size text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint formations_process_type_unique unique (app, process_type),
    constraint formations_quantity check (quantity between 0 and 100)
);

comment on table formations is 'How each process type is scaled. Rows of types that the current slug does not have count for nothing.';
comment on column formations.size is 'Dyno size, by Heroku''s name.';

create function notify_wanted() returns trigger language plpgsql as $$
declare
    changed record;
    app uuid;
begin
    if tg_op = 'DELETE' then
        changed := old;
    else
        changed := new;
    end if;
    if tg_table_name = 'apps' then
        app := changed.id;
    elsif tg_table_name = 'restarts' then
        select dynos.app into app from dynos where dynos.id = changed.dyno;
    else
        app := changed.app;
    end if;
    perform pg_notify('wanted', coalesce(app::text, ''));
    return null;
end
$$;

comment on function notify_wanted() is 'Wakes the reconciler. The payload is the app, but a wake-up only ever means: look again.';

create trigger apps_notify after insert or update or delete on apps
    for each row execute function notify_wanted();
create trigger releases_notify after insert or update or delete on releases
    for each row execute function notify_wanted();
create trigger formations_notify after insert or update or delete on formations
    for each row execute function notify_wanted();
create trigger restarts_notify after insert on restarts
    for each row execute function notify_wanted();

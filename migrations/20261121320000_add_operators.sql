alter table accounts add column is_operator boolean not null default false;

comment on column accounts.is_operator is 'Runs the platform: sees and prunes what takes room on its disk. The first account is one; `paasd user operator` makes others.';

update accounts
set is_operator = true
where id = (select id from accounts order by created_at, id limit 1);

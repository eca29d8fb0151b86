"""What happens by the clock."""

import os

import django
from apscheduler.schedulers.blocking import BlockingScheduler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from orders.models import Order, Report  # noqa: E402

scheduler = BlockingScheduler()


@scheduler.scheduled_job("interval", seconds=1)
def count():
    packed = Order.objects.exclude(packed_by="").count()
    Report.objects.create(made_by=os.environ.get("DYNO", "a laptop"), packed=packed)


scheduler.start()

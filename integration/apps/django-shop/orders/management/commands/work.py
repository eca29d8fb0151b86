import os
import signal
import time

from django.core.management.base import BaseCommand
from django.db import transaction

from orders.models import Order


class Command(BaseCommand):
    help = "Packs orders, one after the other, until it is asked to stop."

    def handle(self, **options):
        self.stopping = False
        signal.signal(signal.SIGTERM, self.stop)
        while not self.stopping:
            if not self.pack():
                time.sleep(0.2)

    def stop(self, *arguments):
        self.stopping = True

    # Two workers never take the same order.
    @transaction.atomic
    def pack(self):
        order = Order.objects.select_for_update(skip_locked=True).filter(packed_by="").first()
        if order is None:
            return False
        order.packed_by = os.environ.get("DYNO", "a laptop")
        order.save()
        self.stdout.write(f"packed {order.item}")
        return True

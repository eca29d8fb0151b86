from django.db import models


class Order(models.Model):
    item = models.CharField(max_length=100)
    packed_by = models.CharField(max_length=50, blank=True)


class Report(models.Model):
    made_at = models.DateTimeField(auto_now_add=True)
    made_by = models.CharField(max_length=50)
    packed = models.IntegerField()

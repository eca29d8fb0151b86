from django.urls import path

from orders import views

urlpatterns = [
    path("", views.index),
    path("orders", views.orders),
    path("report", views.report),
]

from django.http import JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from orders.models import Order, Report


def index(request):
    return render(request, "orders.html", {"orders": Order.objects.order_by("id")})


@csrf_exempt
def orders(request):
    if request.method == "POST":
        order = Order.objects.create(item=request.POST["item"])
        return JsonResponse({"id": order.id}, status=201)
    return JsonResponse({"orders": list(Order.objects.order_by("id").values("item", "packed_by"))})


def report(request):
    last = Report.objects.order_by("-id").first()
    return JsonResponse({"packed": last.packed if last else None, "made_by": last.made_by if last else None})

"""The dashboard: what people who never read an API document see of Rowcast, by way of ``rowcast.client`` alone."""

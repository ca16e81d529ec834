"""Sections of an export that say what a user does: watching, following, logging in, live shows, shopping."""

from __future__ import annotations

from ringfence.synthetic.author import Author, Section
from ringfence.synthetic.people import login_address

_DEVICES = (
    ("Phone 8", "Phone OS 15.2"),
    ("Slate 3", "Phone OS 14.8"),
    ("Model K", "Robot 12"),
    ("Model Q", "Robot 11"),
)
_NETWORKS = ("Wi-Fi", "4G", "5G")


def make_activity(author: Author, *, older: bool) -> Section:
    """Make what the user watched, liked, looked for, shared, followed and logged in from."""
    browsing = "Video Browsing History" if older else "Watch History"
    return {
        "Favorite Effects": {
            "FavoriteEffectsList": author.many(2, lambda: {"Date": author.date(), "EffectLink": author.link("effect")})
        },
        "Favorite Hashtags": {"FavoriteHashtagList": author.many(2, lambda: _dated_link(author, "tag"))},
        "Favorite Sounds": {"FavoriteSoundList": author.many(2, lambda: _dated_link(author, "sound"))},
        "Favorite Videos": {"FavoriteVideoList": author.many(5, lambda: _dated_link(author, "video"))},
        "Follower List" if older else "Follower": {"FansList": author.many(12, lambda: _contact(author))},
        "Following List" if older else "Following": {"Following": author.many(12, lambda: _contact(author))},
        "Hashtag": {
            "HashtagList": author.many(3, lambda: {"HashtagName": author.term(), "HashtagLink": author.link("tag")})
        },
        "Like List": {"ItemFavoriteList": author.many(15, lambda: {"date": author.date(), "link": author.link()})},
        "Login History": {"LoginHistoryList": [_login(author) for _ in range(author.chance.randrange(2, 9))]},
        "Purchase History" if older else "Purchases": {
            "SendGifts": {
                "SendGifts": author.many(
                    1, lambda: {"Date": author.date(), "GiftAmount": "5", "UserName": author.handle()}
                )
            },
            "BuyGifts": {"BuyGifts": author.many(1, lambda: {"Date": author.date(), "Price": author.amount()})},
        },
        "Search History" if older else "Searches": {
            "SearchList": author.many(8, lambda: {"Date": author.date(), "SearchTerm": author.term()})
        },
        "Share History": {"ShareHistoryList": author.many(4, lambda: _share(author))},
        "Status": {"Status List": [_status(author)]},
        browsing: {"VideoList": author.many(40, lambda: _dated_link(author, "video"))},
    }


def make_live(author: Author) -> Section:
    """Make the live shows that the user gave and watched."""
    rooms = {str(author.chance.randrange(10**18, 10**19)): _watched(author) for _ in range(author.chance.randrange(3))}
    return {
        "Go Live History": {"GoLiveList": author.many(1, lambda: _live_show(author))},
        "Go Live Settings": {
            "SettingsMap": {
                "Allow viewers to send you gifts during your LIVE": author.chance.choice(("On", "Off")),
                "People you assigned to moderate your LIVE": [],
            }
        },
        "Watch Live History": {"WatchLiveMap": rooms or None},
        "Watch Live Settings": {
            "WatchLiveSettingsMap": {"Web": {}, "app": {}},
            "MostRecentModificationTimeInApp": author.date(),
            "MostRecentModificationTimeInWeb": None,
        },
    }


def make_shop(author: Author) -> Section:
    """Make what the user looked at, bought and paid with."""
    return {
        "Communication With Shops": {"CommunicationHistories": None},
        "Current Payment Information": {"PayCard": author.many(1, lambda: _card(author))},
        "Customer Support History": {"CustomerSupportHistories": None},
        "Order Dispute History": {"OrderDisputeHistories": None},
        "Order History": {"OrderHistories": author.many(2, lambda: _order(author))},
        "Product Browsing History": {
            "ProductBrowsingHistories": author.many(
                3,
                lambda: {
                    "browsing_date": author.date(),
                    "shop_name": author.company(),
                    "product_name": author.term(),
                },
            )
        },
        "Product Reviews": {"ProductReviewHistories": []},
        "Returns and Refunds History": {"ReturnAndRefundHistories": None},
        "Saved Address Information": {"SavedAddress": author.many(1, lambda: _delivery_address(author))},
        "Shopping Cart List": {
            "ShoppingCart": author.many(
                1,
                lambda: {
                    "CreateTime": author.date(),
                    "ShopName": author.company(),
                    "ProductName": author.term(),
                    "SkuCount": author.chance.randrange(1, 4),
                },
            )
        },
        "Vouchers": {
            "Vouchers": author.many(
                1, lambda: {"ReceivedDate": author.date(), "VoucherId": author.chance.randrange(10**12, 10**13)}
            )
        },
    }


def _dated_link(author: Author, kind: str) -> Section:
    return {"Date": author.date(), "Link": author.link(kind)}


def _contact(author: Author) -> Section:
    return {"Date": author.date(), "UserName": author.handle()}


def _share(author: Author) -> Section:
    return {
        "Date": author.date(),
        "SharedContent": "video",
        "Link": author.link(),
        "Method": author.chance.choice(("chat_head", "copy", "sms")),
    }


def _login(author: Author) -> Section:
    model, system = author.chance.choice(_DEVICES)
    return {
        "Date": author.date(),
        "IP": login_address(author.user, author.chance),
        "DeviceModel": model,
        "DeviceSystem": system,
        "NetworkType": author.chance.choice(_NETWORKS),
        "Carrier": author.company(),
    }


def _status(author: Author) -> Section:
    identifier = f"{author.chance.getrandbits(128):032x}"
    return {
        "Resolution": "1170*2532",
        "App Version": "23.6.0",
        "IDFA": identifier,
        "GAID": "",
        "Android ID": identifier[:16],
        "IDFV": identifier[::-1],
        "Web ID": author.chance.randrange(10**18, 9 * 10**18),
    }


def _live_show(author: Author) -> Section:
    return {
        "LiveStartTime": author.date(),
        "LiveEndTime": author.date(),
        "RoomTitle": author.sentence(),
        "TotalEarning": author.amount(),
        "TotalLike": author.chance.randrange(1000),
        "TotalView": author.chance.randrange(1000),
    }


def _watched(author: Author) -> Section:
    return {
        "WatchTime": author.date(),
        "Link": author.link("live"),
        "Comments": author.many(
            2, lambda: {"CommentTime": author.date(), "CommentContent": author.sentence(), "RawTime": 1646128800}
        ),
        "Questions": None,
    }


def _card(author: Author) -> Section:
    return {
        "card_number": "**** **** **** 0000",
        "card_type": "Example Card",
        "holder_name": f"{author.user.first_name} {author.user.last_name}",
        "expiry": "01/2030",
    }


def _order(author: Author) -> Section:
    return {
        "order_date": author.date(),
        "order_status": "Completed",
        "products": [{"product_name": author.term(), "price": author.amount(), "sku_count": 1}],
        "total_price": author.amount(),
        "shop_name": author.company(),
    }


def _delivery_address(author: Author) -> Section:
    user = author.user
    return {
        "receiver_name": f"{user.first_name} {user.last_name}",
        "masked_phone_number": "",
        "adress_info": f"{user.street}, {user.zip_code} {user.city}",
    }

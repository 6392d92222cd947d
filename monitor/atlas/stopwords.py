"""Words that say nothing about a topic: English, German, Spanish and French function words, and what politeness adds."""

from __future__ import annotations

__all__ = ["STOP_WORDS"]

_ENGLISH = """
a about above after again against all also am an and any are aren't as at be because been before being below between
both but by can can't cannot could couldn't did didn't do does doesn't doing don't dont down during each else ever
few for from further get gets getting got had has have haven't having he he's her here hers him his how how's i i'd
i'll i'm i've if im in into is isn't isnt it it's its itself ive just let let's like make many may me might more
most much must my myself need no nor not now of off on once one only or other our ours out over own really said same
say says she should shouldn't so some still such than that that's thats the their theirs them then there there's
these they they're this those through to too under until up us use using very want wanted was wasn't way we we're
were what what's whats when where which while who whom why will with won't wont would wouldn't yes yet you you're
your yours yourself able actually already always another anyone anything around ask asked away back bit come didnt
doesnt done else even every everything first give given go goes going gone good help i’m i’ve it’s i’d know last
least long look looking lot maybe mean means never new next nothing ok okay please pls put quite right see seem
seems since something soon sure take tell thank thanks thing things think though tried try trying two until wants
well went without work works
"""
_GERMAN = """
aber alle allem allen aller als also am an auch auf aus bei beim bin bis bitte da damit dann das dass dein den denn
der des dem die dies diese dieser doch dort du ein eine einem einen einer eines er es etwas für gibt haben hab habe
hat hatte hier ich ihr ihre im in ist ja jetzt kann kein keine können man mein meine meinem meinen meiner mich mir
mit muss nach nicht noch nur ob oder ohne schon sehr sein seit sich sie sind so um und uns unser vom von vor war
warum was weil wenn wer wie wir wird wo wurde zu zum zur über hallo danke möchte will
"""
_SPANISH = """
a al algo ante aquí así aún cada como cómo con cual cuál cuando cuándo cuánto de del desde donde dónde el ella en
entre era es esa ese eso esta está están este esto fue gracias ha hace hacer han hasta hay he hola la las le les lo
los me mi mis muy más nada ni no nos o otra otro para pero por porque puede puedo qué que quiero se ser si sí sin
sobre solo son su sus también te tengo tiene todo tu tú un una uno unos y ya yo favor
"""
_FRENCH = """
a afin ai au aussi autre aux avec avoir c'est ce cela ces cet cette chez comme comment dans de depuis des dois donc
du elle en est et été être fait faire il ils j'ai je l la le les leur lui ma mais me merci mes moi mon même n ne nos
notre nous on ont ou où par pas peu peut peux plus pour pourquoi puis qu que quel quelle quand qui sa sans se ses si
son sont sur ta te tes toi ton tout toute très tu un une veux voir vos votre vous y bonjour svp
"""

STOP_WORDS = frozenset(word for text in (_ENGLISH, _GERMAN, _SPANISH, _FRENCH) for word in text.split())

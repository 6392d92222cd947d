# ruff: noqa: E501 - one phrase a line, however long
"""What people say in English, German, Spanish and French when a reply failed them, as patterns.

A line is one pattern. In it a space is any white space, " ?" may be absent, `n't` may lack its apostrophe, and `<name>` is
one of `PARTS`.
"""

from __future__ import annotations

__all__ = ["CHALLENGES", "REPHRASES", "alternatives"]


def alternatives(lines: str) -> str:
    """One regular expression that matches where any of the lines does, at the leftmost place the first of them."""
    pattern = "|".join(f"(?:{line.strip()})" for line in lines.splitlines() if line.strip())
    for name, part in PARTS.items():
        pattern = pattern.replace(f"<{name}>", part)
    return pattern.replace("n't", "n'?t").replace(" ?", r"\s*").replace(" ", r"\s+")


PARTS = {
    # the end of the message's clause
    "end": r"(?=\W*$)",
    "end?": r"(?=\W*\?)",
    "that": r"(?:that|this|those|these|what you (?:just )?(?:said|wrote|told me))",
    "is": r"(?:'?s| is| are| was| were| seems| sounds| looks)",
    "very": r"(?: (?:just|still|simply|completely|totally|definitely|absolutely|clearly|plain|so|also|really|all|even|actually"
    r"|entirely|quite|factually|obviously|very|a bit|kind of|probably|at all|exactly|remotely))*",
    "wrong": r"(?:wrong|incorrect|false|inaccurate|untrue|mistaken|nonsense|rubbish|bullshit|bs|garbage|crap|ridiculous|absurd"
    r"|impossible|misleading|outdated|out of date|made up|a lie|way off|not? true|useless|no help|no use)",
    "right": r"(?:right|correct|true|accurate|the case|possible|helpful|useful|good enough|how it works|how that works)",
    "tense": r"(?:didn't|doesn't|don't|isn't|wasn't|hasn't|won't|did not|does not|do not|has not|will not|never)",
    "help": r"(?:helps?|helped|works?|worked|working|fix(?:es|ed)? (?:it|that|this|anything|the)|solved?|answers? my|make (?:any )?sense"
    r"|do anything|change anything)",
    "thing": r"(?:link|page|url|website|button|option|menu|tab|setting|screen|function|method|step|command|api|file|package"
    r"|library|book|paper|article|number|address|feature)",
    "ask": r"(?:ask|say|know|mean|want|need)",
    # German
    "sehr": r"(?: (?:so|aber|doch|leider|einfach|ja|gar|überhaupt|auch|da|wirklich|ganz|völlig|komplett|eindeutig|alles|mir|uns|bei mir"
    r"|bei uns|immer noch|noch|trotzdem|nun|jetzt|nämlich|definitiv|absolut))*",
    # Spanish
    "muy": r"(?: (?:muy|totalmente|completamente|del todo|bastante|me|nos|tampoco|todavía|aún))*",
    # French
    "très": r"(?: (?:très|vraiment|complètement|totalement|absolument|du tout|toujours|bien|tout à fait|quand même|carrément))*",
}

#: By kind of challenge.
CHALLENGES = {
    "doubt": r"""
        (?:are|r) (?:you|u)(?: (?:really|absolutely|quite|completely|totally|very|100 ?%|a hundred percent|so))* (?:sure|certain|positive)(?:<end>| (?:about|of) (?:that|this|it)\b| (?:that|this|it)(?:'?s)? (?!to\b))
        (?:you|u)(?: (?:really|absolutely))? sure(?:<end?>| about (?:that|this))
        (?:sure|certain) about (?:that|this)<end?>
        is (?:that|this)<very> (?:true|right|correct|accurate)<end?>
        (?:really|seriously|for real)\s*\?+<end>
        i <very>?(?:don't|do not|can't|cannot)(?: really)? (?:believe|buy|trust) (?:that|this|it|you)(?:<end>| for a)
        i (?:don't|do not) think (?:so<end>|(?:that|this)(?:'s| is) (?:true|right|correct|accurate|how)|you(?:'?re| are) (?:right|correct|listening|understanding))
        i(?: really| highly)? doubt (?:it|that|this)<end>
        (?:i'?m |i am )?not(?: really| so| entirely| quite)? (?:convinced|sure (?:about|that'?s|that is) (?:that|this|right|true|correct))
        <that> (?:doesn't|don't|does not|do not|didn't)<very> (?:sound|seem|look|feel)<very> (?:right|correct|true|plausible|accurate)
        <that> (?:can't|cannot|can not|couldn't)(?: possibly)? be(?:<end>|<very> (?:right|true|correct|it|possible))
        (?:bist du|sind sie)(?: (?:dir|sich))?<sehr> sicher\b
        (?:wirklich|echt|im ernst|ernsthaft|sicher|ganz sicher)\s*\?+<end>
        das glaube? ich(?: (?:dir|ihnen|euch))? nicht
        das kann<sehr> nicht<sehr> (?:sein|stimmen|richtig sein)
        (?:estás?|estas?)(?: usted| tú)?<muy> segur[oa]s?\b
        (?:seguro|segura|de verdad|en serio)\s*\?+<end>
        no(?: me)? lo creo
        (?:eso )?no puede ser\b
        (?:vous êtes|êtes[- ]vous|tu es|t'es|es[- ]tu|vous etes|etes[- ]vous)<très> s[ûu]re?s?\b
        (?:vraiment|sérieusement|sérieux)\s*\?+<end>
        je (?:ne )?(?:te |vous )?(?:crois pas|suis pas convaincue?)\b
        (?:ça|cela|ce) (?:ne |n')?peut pas être
    """,
    "contradiction": r"""
        <that><is><very> <wrong>(?:<end>| (?:information|info|answer|again)\b)
        (?:that|this)<is>(?:n't| not)<very> <right>(?:<end>| (?:for|because|at all|according|since|either)\b)
        (?:that|this)<is>(?:n't| not)<very> (?:what|how|why|where|who) (?:i|we)\b
        (?:that|this)<is> (?:not|n't) (?:an?|the|my)(?: \w+)? (?:answer|question|point)\b
        (?:that|this)<is>(?: for)? (?:the|a) (?:wrong|different) (?:answer|link|page|one|product|topic|question|thing|person|model|version|date|number|name|city|country|year|language|file)\b
        (?:that|this|it) (?:makes|made) (?:no|zero|little) sense
        <that> (?:doesn't|didn't|does not|did not|don't)<very> (?:make|answer)(?: any| much)? (?:sense|my question|the question|what i)
        <that> (?:contradicts|is the opposite)
        (?:your|the|that|this) (?:answer|reply|response|info|information|explanation|solution|result|output|calculation|math|maths|number|figure|code|advice)(?: you gave me)?<is>(?:n't)?<very> (?:not )?(?:<wrong>|<right>)<end>
        (?:you'?re|you are|u r|ur)<very> (?:wrong|mistaken|incorrect|lying|hallucinating|not listening|not answering|not understanding|contradicting|confusing|confused|repeating|making (?:this|that|it|things|stuff) up|ignoring|missing the point|talking about)\b
        (?:you|u)(?: (?:clearly|obviously|just|still|really|completely|totally|must have|have|'ve))* (?:made (?:that|this|it) up|misunderstood|misunderstand|misread|misinterpreted|ignored|got (?:it|that|this) wrong|missed the point|contradict(?:ed)? yourself|forgot(?:ten)?|failed to)\b
        (?:you|u)(?: (?:still|really|just|also))?(?: have|'ve)? ?(?:didn't|haven't|did not|have not|don't|do not|aren't|are not|not|never)<very> (?:answer(?:ed|ing)?|address(?:ed)?|read|understood|understand|listen(?:ing)?|get it|gotten|follow(?:ed)?) ?(?:\b(?:my|the|what|me|it|to|i)\b|<end>)
        are you(?: just| even)? (?:making (?:this|that|it) up|listening|hallucinating|kidding)\b
        (?:you|u)(?:'ve)?(?: (?:just|already|also))* (?:said|told me|wrote|claimed)(?: (?:just|me))? (?:the opposite|otherwise|something (?:else|different)|that already|that (?:before|earlier)|it (?:was|is|would be|could) .{1,30}\?\?|that twice)
        (?:you|u)(?:'ve)?(?: (?:just|have))? already (?:said|told me|wrote|suggested|mentioned) (?:that|this|so)\b
        (?:so )?which (?:one )?is it(?: then| now)?<end>
        (?:earlier|before|previously|just now|a (?:minute|moment) ago|yesterday)(?: on)? (?:you|u) (?:said|told|wrote|claimed)
        (?:you|u)(?: just)? (?:said|told me) (?!to\b)[^?]{1,60}\?\?
        (?:you'?ve|you have|i think you'?ve)(?: got)? the wrong (?:account|person|customer|answer|idea|end|one|product|information|info)
        (?:you'?re|you are) wrong
        (?:your|the|my|our) (?:own )?(?:\w+ ){0,7}?(?:says?|said|states?|stated|shows?|told me|tells me|claims?|mentions?)(?: me)?(?: that)?(?: (?:something|completely|totally|a))* (?:otherwise|something else|different|something different|opposite|the opposite|that'?s not|that is not|that'?s wrong|not)\b
        i (?:didn't|did not|never) (?:ask|say|mean|want|said|asked)(?: you)?(?: (?:for|about|to))? (?:that|this)\b
        (?:not|isn't) what i (?:asked|meant|wanted|said|need|was asking|am asking|'m asking)
        (?:i (?:asked|said|meant|wanted|told you)|i'?m asking)(?: you)?(?: (?:for|about))? [^?]{1,60}\bnot\b
        (?:wrong|incorrect|false|nonsense|rubbish|bullshit|not (?:true|correct|right))(?:<end>| again\b| answer\b| (?=[-:]))
        there(?: is|'?s| are) no such <thing>
        i (?:don't|can't|do not|cannot|can not)(?: even)? (?:have|see|find) (?:that|any such|such an?|the) <thing>(?: anywhere| at all| in my| in the| on my| on the| you|<end>)
        (?:that|the|your|this) (?:\w+ )?<thing>(?: that)?(?: you (?:gave|sent|mentioned|suggested|showed|named)(?: me)?)? (?:doesn't exist|does not exist|is dead|is broken|is wrong|isn't there|is not there|leads nowhere|is missing|gives (?:me )?(?:an? )?(?:404|error)|didn't work|doesn't work|does not work|did not work)
        step \d+ (?:is wrong|is incorrect|doesn't|does not|didn't|fails|failed|makes no)
        (?:das|dies|es) (?:stimmt|trifft)<sehr> nicht\b
        stimmt<sehr> nicht\b
        (?:das|dies)(?: ist| war| wäre|'s| klingt)<sehr> (?:falsch|unsinn|quatsch|blödsinn|unwahr|gelogen|unmöglich|veraltet|nicht<sehr> (?:richtig|korrekt|wahr|hilfreich|der fall|möglich|das was|meine frage|die frage|was ich)|keine antwort)\b
        (?:das|dies) (?:macht|ergibt)<sehr> keinen sinn
        (?:das|danach) (?:habe?|hatte) ich<sehr> nicht (?:gefragt|gemeint|gesagt|gewollt)
        ich (?:habe?|hatte)<sehr> (?:etwas|was) (?:anderes|ganz anderes) (?:gefragt|gemeint|gesagt)
        (?:du hast|sie haben)(?: mich| meine frage)?<sehr> (?:(?:falsch|nicht|missverstanden)\b.{0,20}(?:verstanden|beantwortet)|missverstanden|unrecht|sich geirrt)
        (?:du irrst|sie irren|du liegst falsch|sie liegen falsch)
        das (?:haben sie|hast du)(?: mir)?<sehr> (?:schon|bereits|eben|vorhin)(?: \w+)? gesagt
        (?:in|auf|bei) (?:\w+ ){1,4}(?:steht|stand)<sehr> (?:etwas|was) (?:anderes|ganz anderes)
        da steht<sehr> (?:etwas|was) (?:anderes|ganz anderes)
        (?:eso|esto|lo que (?:dices|dice|has dicho))? ?no (?:es|está|era)<muy> (?:correct[oa]|ciert[oa]|verdad|así|bien|lo que (?:yo )?(?:te |le |os )?(?:he|pregunt|ped|quer|quier|dije|digo|busc)\w*|lo mismo que)
        (?:eso|esto)(?: es| está| suena)<muy> (?:falso|mal|incorrecto|equivocado|mentira|erróneo|imposible|absurdo)\b
        (?:es )?(?:mentira|falso)<end>
        (?:te equivocas|se equivoca|(?:estás?|está usted) equivocad[oa])
        (?:eso )?no tiene(?: ningún)? sentido
        no (?:me )?(?:has|ha|habéis|han) (?:respondido|contestado|entendido|leído)
        no (?:te|le) (?:he preguntado|pregunté|pedí|he pedido) (?:eso|esto)
        (?:la|el|mi|su|tu) (?:\w+ ){1,4}(?:dice|pone) (?:otra cosa|lo contrario|algo (?:distinto|diferente))
        (?:c'est|c est|c'était)<très> (?:faux|incorrect|inexact|erroné|n'importe quoi|impossible|absurde|pas<très> (?:vrai|juste|correct|exact|ça|possible|ce que|ma question|la question|une réponse))\b
        ce n'est pas<très> (?:vrai|juste|correct|exact|ça|possible|ce que|ma question|la question|une réponse)\b
        (?:vous vous trompez|tu te trompes|vous avez tort|tu as tort)
        (?:vous|tu) (?:ne |n')?(?:m'|me )?(?:avez|as) pas<très> (?:répondu|compris|lu|écouté)
        (?:ça|cela) (?:n'a|a) (?:aucun|pas de) sens
        (?:je n'ai|j'ai) pas demandé (?:ça|cela)
        (?:le|la|mon|ma|votre) (?:\w+ ){1,4}(?:dit|indique)(?: autre chose| le contraire)
    """,
    "no_help": r"""
        (?:that|this|it|your \w+|the \w+ you (?:gave|sent|suggested))(?: (?:still|also|really|just|unfortunately))* <tense><very> <help>(?:<end>| (?:for me|at all|either|anymore|on my|with my|much|me|us|the|to me|because|since|it|anything|question)\b)
        (?:still )?(?:didn't|doesn't|does not|did not|won't|not|isn't|ain't) (?:help|work|working|fixed|solved|helping|helpful)<end>
        (?:that|this)(?:'?s| is| was) (?:not (?:helping|working)|no (?:help|use))
        still (?:not (?:working|fixed|solved|right|correct)|the same|doesn't|does not|didn't|getting the same|wrong|broken|an error|fails)\b
        (?:i |i'?ve |i have )?tried (?:that|it|this)(?:<end>| (?:already|twice|again|before|and (?:it'?s? (?:didn't|doesn't|still|failed)|nothing)|but|several|many|three|a few)\b)
        (?:i |i'?ve |i have )?already (?:tried|did|done) (?:all )?(?:that|it|this|those|these)\b
        i (?:followed|did|tried) (?:\w+ ){1,10}?(?:and|but) (?:nothing|it still|still|it didn't|it doesn't|no luck)
        no luck\b
        nothing (?:happens|happened|changed|works|worked)<end>
        (?:i'?m |i am )?(?:still )?(?:getting|get|have) the same (?:error|problem|issue|result|message|answer)
        (?:it'?s |it is )?(?:still )?the same (?:error|problem|issue|result|mistake)(?: again)?<end>
        same (?:error|problem|issue|result|mistake|thing)(?: again| as before)?<end>
        (?:you|u)(?: are|'re)?(?: (?:just|only|not|no))* (?:not being helpful|no help|useless|not helping)
        (?:not (?:very |really )?helpful|useless|unhelpful|pointless)<end>
        (?:das|es|dein \w+|ihr \w+)? ?(?:hilft|funktioniert|klappt|geht|nützt|bringt)<sehr> (?:nicht|nichts)\b
        (?:das|es)? ?hat<sehr> nicht(?:s)?<sehr> (?:geholfen|funktioniert|geklappt|gebracht|genützt)
        (?:das )?habe? ich<sehr> (?:schon|bereits|alles)(?: \w+)? (?:versucht|probiert|gemacht|getan|ausprobiert)
        (?:geht|klappt|funktioniert) immer noch nicht
        immer noch (?:nicht|das gleiche|dasselbe|der gleiche|derselbe)\b
        (?:eso |esto |así )?(?:no (?:me |nos )?(?:ha )?(?:funciona|funcionó|funcionado|sirve|sirvió|servido|ayuda|ayudó|ayudado)|sigue (?:sin|igual))\b
        ya (?:lo |la )?(?:he |hemos )?(?:probado|intentado|hecho|probé|intenté|hice)\b
        (?:ça|cela|ca) (?:ne |n')?(?:m'|me )?(?:marche|fonctionne|aide|a|change)<très> (?:pas|rien)\b
        (?:ne )?(?:marche|fonctionne)<très> pas\b
        j'ai déjà (?:essayé|fait|tout)\b
    """,
    "source": r"""
        (?:where|how)(?: on earth| the hell)? (?:did|do) (?:you|u) (?:get|find|know|read|hear|come up with)(?: about)? (?:that|this|it)(?: from)?<end>
        where (?:did|do) (?:you|u) (?:get|find) (?:that|this)\b
        how do you know\b<end>
        how do you know (?:that|this)\b
        (?:what(?:'?s| is| are)|do you have|(?:can|could) you (?:give|show|cite)(?: me)?) (?:your|a|the|any) (?:source|sources|proof|evidence|reference)(?: for| of)?(?: that| this)?<end>
        (?:can|could|please|pls) ?(?:you )?(?:show me|tell me|point me to) where it says
        (?:source|sources|proof|citation)\s*\?+<end>
        says who\b
        prove it\b
        (?:can|could|would|will) you(?: please)? (?:double[- ]?check|re-?check|check (?:again|that again|it again)|verify)(?:<end>| (?:that|this|it|your)\b)
        (?:double[- ]?check|check again|check (?:that|it|this) again|re-?check|try again|verify)(?:<end>| (?:that|this|your answer|please)\b)
        woher (?:weißt|weisst|wissen|hast|haben|nimmst|nehmen) (?:du|sie) (?:das|diese)
        (?:was ist|wo ist) (?:deine|ihre) quelle
        (?:quelle|fuente|fuentes)\s*\?+<end>
        (?:kannst du|können sie)(?: das)?(?: bitte)? (?:noch ?mal|nochmals|erneut) (?:prüfen|überprüfen|nachsehen|nachschauen)
        de dónde (?:sacas|saca|has sacado|sacaste|viene|ha sacado) (?:eso|esto|esa)
        cómo (?:lo )?sabe(?:s)?(?: (?:eso|esto))?<end>
        (?:cuál es (?:tu|su) fuente)
        (?:d'où|d où) (?:vient|tenez|tiens|sort|sortez|sors)(?:[- ]vous|[- ]tu)? ?(?:ça|cela|cette|tu|vous)?
        comment (?:le )?(?:savez[- ]vous|sais[- ]tu|tu sais|vous savez)(?: (?:ça|cela))?<end>
        (?:quelle est (?:ta|votre) source)
    """,
}

#: How a message begins that asks the same again; more follows.
REPHRASES = r"""
    what i(?:'m| am| was)? (?:really |actually )?(?:ask|mean|want|need|try)(?:ing|ed)?(?: to (?:ask|say|know))?(?: (?:is|was)\b|(?=[:,]))
    what i (?:really |actually )?meant\b(?: (?:is|was|to <ask>(?: (?:is|was))?)\b)?
    i (?:really |actually )?meant\b(?! (?:to (?!<ask>)|it\b|that ?[.!]?$|what i said))
    i mean\b(?=[\s,:])(?! ?(?:it|that|what i said)? ?[.!?]*$)
    i(?:'m| am| was) (?:actually |really )?asking\b
    i (?:already )?asked\b
    my (?:actual |original |real )?question (?:is|was)\b
    (?:the|my) question remains
    (?:please )?(?:let me|allow me to|i'?ll|i will) (?:try to )?(?:re-?phrase|re-?word|clarify|re-?state|explain (?:it |that )?again|ask (?:it |that )?(?:again|differently|another way|in another way)|put (?:it|that|this) (?:another way|differently|in other words|more \w+)|try (?:that |this )?(?:again|once more)|say (?:it|that) (?:again|differently|another way))
    (?:re-?phrasing|trying again|asking again)\b
    in other words\b
    (?:once again|once more|again) ?[:,-]
    (?:to be (?:more )?(?:clear(?:er)?|precise|specific|exact)|to clarify|to rephrase) ?[:,-]
    (?:maybe|perhaps|apologies if|sorry if) i (?:wasn'?t|was not|was un|didn'?t make myself) ?clear
    for the (?:second|third|fourth|fifth|tenth|hundredth|last|umpteenth|nth|[2-9](?:nd|rd|th)) time\b
    (?:as|like) i (?:said|asked|wrote|mentioned)\b
    ich (?:meinte|meine)\b(?! (?:das|es) ?[.!]?$)
    was ich (?:meinte|meine|wissen (?:will|wollte|möchte)|fragen (?:will|wollte|möchte))\b
    meine (?:eigentliche )?frage (?:ist|war|lautet)\b
    (?:anders (?:gefragt|gesagt|ausgedrückt)|noch ?mals? ?[:,]|mit anderen worten|ich habe? gefragt)
    zum (?:zweiten|dritten|vierten|letzten) mal\b
    (?:me refiero|me refería|quiero decir|quise decir|quería decir|lo que (?:quiero|quería|quise|pregunto|preguntaba))\b
    (?:mi pregunta (?:es|era)|en otras palabras|dicho de otra (?:forma|manera)|otra vez ?[:,]|he preguntado|por (?:segunda|tercera|cuarta) vez)\b
    (?:je voulais dire|je veux dire|ce que je (?:veux|voulais|demande|demandais)|je demandais|j'ai demandé)\b
    (?:ma question (?:est|était)|autrement dit|en d'autres (?:mots|termes)|je reformule|encore une fois ?[:,]|pour la (?:deuxième|troisième|quatrième) fois)
"""

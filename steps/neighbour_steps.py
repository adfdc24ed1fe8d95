"""Steps about who shares a network with the machine: what the machine answers him."""

from behave import then


@then("nothing in the machine answers a neighbour")
def nothing_answers(context):
    """Let another computer on the machine's network try whether anything in it answers.

    It tries pings, TCP ports and UDP services at all addresses of the machine. "Nobody listens
    here" is an answer, too. The machine must be in the lab and have an address.
    """
    context.test.network.neighbours.check_no_answer()


@then("only these ports of the machine are open to a neighbour")
def only_these_are_open(context):
    """Let another computer on the machine's network try which ports are open; the column: port.

    A number is a TCP port; "UDP 5353" is another one. Each must be open, and no other may be; a
    table without rows: none is. A ping may be answered, and other ports may refuse.
    """
    context.test.network.neighbours.check_open([row["port"] for row in context.table or ()])

"""The address that a registration for HTTP push was made with."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ven_registration", sa.Column("push_address", sa.Text))

"""Put a model folder on a hub: python scripts/publish_model.py FOLDER OWNER/NAME"""

import sys

from reg2st.tools.publish_model import main

sys.exit(main())

"""What every layer may use: errors, clock, tasks, logging. No word of the mesh, nothing imported from above."""

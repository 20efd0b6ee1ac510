using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Microsoft.EntityFrameworkCore;

/// <summary>Maps an entity of a tenant's context to a table that all tenants of a database share.</summary>
public static class SharedEntityTypeBuilderExtensions
{
    /// <summary>
    /// Says that the entity's table lies in the shared schema, and that the migrations of this context leave it alone: those
    /// of a context registered with <c>AddSharedDbContext</c> make it.
    /// </summary>
    /// <param name="entity">The entity. Where it needs <c>ToTable</c>, call that first.</param>
    /// <param name="schema">The schema. <value>Default: <c>shared</c>, as in <c>SchemaNaming.Shared</c>.</value></param>
    public static EntityTypeBuilder<TEntity> IsShared<TEntity>(
        this EntityTypeBuilder<TEntity> entity,
        string schema = "shared"
    )
        where TEntity : class
    {
        ArgumentNullException.ThrowIfNull(entity);
        ArgumentException.ThrowIfNullOrEmpty(schema);
        entity.Metadata.SetSchema(schema);
        entity.Metadata.SetIsTableExcludedFromMigrations(true);
        return entity;
    }
}
